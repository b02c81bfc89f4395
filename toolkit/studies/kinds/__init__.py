"""The studies that come with the toolkit; one file each."""
