"""What research/slim's NASNets are made of, for programs that make their own."""
