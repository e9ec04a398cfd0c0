# Speed against error. Columns: error, ratio, low, high, all stages on (1) or not (0), label (of the fastest of a format).
set terminal svg size 860, 420 dynamic noenhanced font "sans-serif,13"
set logscale xy
set format x "%.0e"
set xlabel "mean absolute error of the logits (logarithmic; zero is drawn at the left edge): left is better"
set ylabel "times as fast as tuned (logarithmic): up is better" textcolor rgb ink
set border 3
set grid xtics ytics linecolor rgb faint linewidth 0.5 dashtype solid
set ytics scale 0.5
unset key
stats file using 1 nooutput name "error"
stats file using 3 nooutput name "low"
stats file using 4 nooutput name "high"
right = error_max > 0.01 ? error_max : 0.01
set xrange [error_min * 0.5 : right * (right / error_min) ** 0.12]
set yrange [low_min * 0.8 : (high_max > 3 ? high_max : 3) * 1.3]
set arrow 1 from graph 0, first 3 to graph 1, first 3 nohead linecolor rgb red linewidth 1 dashtype 2
set arrow 2 from 0.01, graph 0 to 0.01, graph 1 nohead linecolor rgb red linewidth 1 dashtype 2
set label 1 "3x claimed" at graph 1, first 3 right offset -1, 0.6 textcolor rgb red
set label 2 "0.01 claimed" at 0.01, graph 1 offset 0, 0.6 center textcolor rgb red
set ytics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100)
plot file using ($5 == 0 ? $1 : NaN):2:3:4 with yerrorbars pointtype 7 pointsize 0.6 linecolor rgb faint, \
     file using ($5 == 1 ? $1 : NaN):2:3:4 with yerrorbars pointtype 7 pointsize 0.9 linewidth 1.5 linecolor rgb blue, \
     file using 1:2:6 with labels left offset 1, 0 textcolor rgb ink
