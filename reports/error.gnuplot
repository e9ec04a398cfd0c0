# Mean absolute error of the logits. Columns: row, label, error, text.
set terminal svg size 860, 70 + 21 * rows dynamic noenhanced font "sans-serif,13"
set logscale x
set xlabel "mean absolute error of the logits (logarithmic; zero is drawn at the left edge)"
set lmargin longest > 34 ? longest : 30
set rmargin 9
set format x "%.0e"
set arrow 2 from 0.01, graph 0 to 0.01, graph 1 nohead linecolor rgb red linewidth 1 dashtype 2
set label 2 "0.01 claimed" at 0.01, graph 1 offset 0, 0.6 center textcolor rgb red
stats file using 3 nooutput
set xrange [STATS_min * 0.7 : (STATS_max > 0.01 ? STATS_max : 0.01) * 4]
unset key
set yrange [rows - 0.3 : -0.7]
plot file using 3:1:ytic(2) with points pointtype 7 pointsize 0.8 linecolor rgb blue, \
     file using 3:1:4 with labels left offset 1, 0 textcolor rgb ink
