"""The bytes of pictures: where they are kept, what they are, and the processes that look into them."""
