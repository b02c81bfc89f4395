"""Chat templates: what renders them, and what they write around the messages of a conversation."""
