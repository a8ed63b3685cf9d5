"""Crashes, failing disks and power cuts at every call to the system, and proof that these tests can see."""
