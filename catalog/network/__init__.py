"""How requests leave this machine: addresses, proxies, certificates, and the meaning of their failures."""
