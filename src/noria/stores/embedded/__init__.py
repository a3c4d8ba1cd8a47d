"""Engines that run inside or beside Noria on one machine."""
