"""Linux boards over the OpenSSH client."""

from toolkit.devices.ssh.device import SshDevice

__all__ = ["SshDevice"]
