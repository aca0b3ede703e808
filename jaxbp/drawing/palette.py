"""The colours of all figures, colour-blind-safe.

Source: Okabe and Ito 2008, "Color Universal Design".
"""

INK = "#333333"
COLOURS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#000000",
    "grey": "#8C8C8C",
}
