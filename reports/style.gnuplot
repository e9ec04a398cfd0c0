# What all plots share. The program runs this first, having set `rows`, the number of rows of each .dat file, and `longest`, the letters
# of the longest label.
# #010101 stands for the colour of the page's text: the program writes currentColor in its place, so that a plot can be
# read on a light and on a dark page alike. The other colours have at least 3:1 contrast with both.
if (!exists("rows")) rows = 10
if (!exists("longest")) longest = 30
ink = "#010101"
faint = "#8a8f98"
blue = "#3b82c4"
orange = "#d9730d"
green = "#2e9e6b"
purple = "#9a6bd6"
red = "#d1495b"
teal = "#1f8a99"
set encoding utf8
set datafile separator "\t"
set datafile missing "?"
set datafile commentschars "\001"
set border 1 linecolor rgb ink linewidth 0.5
set tics nomirror textcolor rgb ink
set xtics scale 0.5
set ytics scale 0
set grid xtics linecolor rgb faint linewidth 0.5 dashtype solid
set key above left Left reverse horizontal textcolor rgb ink samplen 1 width 1
set xlabel textcolor rgb ink
# Ranges come after `stats`, which leaves out what lies outside of them.
