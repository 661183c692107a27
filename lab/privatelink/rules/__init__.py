"""The rules of PrivateLink, and the state that they change: nothing here knows ministack."""
