"""What research/slim's MobileNets are made of, for programs that make their own."""
