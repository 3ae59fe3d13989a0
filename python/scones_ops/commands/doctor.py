"""`scones-ops doctor`: is this machine ready?"""
