"""The virtual phone: an adbd of our own over a sandboxed root, so that the real adb client has a device.

``fleet`` starts and stops phones from the host's side; ``daemon`` is what runs inside the sandbox.
"""
