"""Looking after devices: is one fit for measuring, and what has the toolkit left on it?"""
