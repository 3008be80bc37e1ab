"""Pictures: the contents of a file, the places of files on the sky, and when they were observed and processed."""

from catalog.plots.canvas import Drawing
from catalog.plots.contents import draw_file, plot_file
from catalog.plots.previews import draw_pictures
from catalog.plots.selection import FilesToDraw
from catalog.plots.sky import draw_sky
from catalog.plots.timeline import draw_timeline

__all__ = ["Drawing", "FilesToDraw", "draw_file", "draw_pictures", "draw_sky", "draw_timeline", "plot_file"]
