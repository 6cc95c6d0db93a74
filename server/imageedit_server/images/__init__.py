"""The bytes of pictures: where they are kept, what they are."""
