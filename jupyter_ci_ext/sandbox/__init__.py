"""Isolation of a kernel from the host: policy, layers, probe and the kernel provisioner."""
