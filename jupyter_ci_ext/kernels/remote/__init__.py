"""Kernels on other machines: behind a kernel gateway, or started by somebody else's provisioner."""
