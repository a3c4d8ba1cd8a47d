"""Adapters: what is particular to each kind of provider. One file each; noria.gateway.providers.adapters lists them."""
