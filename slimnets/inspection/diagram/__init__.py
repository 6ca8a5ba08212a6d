"""A network as a picture, and what comes of it on the way.

texts.py     what the boxes say
scopes.py    which of them a frame holds together
ranks.py     their order, from the top down
layout.py    where they, the frames and the lines lie
drawing.py   `plot_network`: all of that, drawn by matplotlib
"""
