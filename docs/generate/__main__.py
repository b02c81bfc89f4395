"""`make docs`: writes docs/reference and docs/families.md."""

from docs.generate import main

main()
