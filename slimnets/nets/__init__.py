"""Networks: one file per family. `slimnets.list_networks()` names them all."""
