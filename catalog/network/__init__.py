"""How requests leave this machine: addresses, proxies, certificates, and what their failures mean."""
