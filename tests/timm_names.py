"""What timm calls networks that slimnets calls otherwise."""

TIMM_NAMES = {
    "bit_r50x1": "resnetv2_50x1_bit",
    "bit_r101x1": "resnetv2_101x1_bit",
    "bit_r50x3": "resnetv2_50x3_bit",
}
