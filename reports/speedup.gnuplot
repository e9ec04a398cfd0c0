# How many times as fast as `tuned` each variant is. Columns: row, label, ratio, low, high, kind (0 variant, 1 all stages
# on, 2 baseline), text.
set terminal svg size 860, 70 + 21 * rows dynamic noenhanced font "sans-serif,13"
set logscale x
set xlabel "times as fast as tuned (logarithmic; bars: 95% interval)"
set lmargin longest > 34 ? longest : 30
set rmargin 9
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb ink linewidth 1
set arrow 2 from 3, graph 0 to 3, graph 1 nohead linecolor rgb red linewidth 1 dashtype 2
set label 2 "3x claimed" at 3, graph 1 offset 0, 0.6 center textcolor rgb red
stats file using 4 nooutput name "low"
stats file using 5 nooutput name "high"
set xrange [low_min * 0.8 : (high_max > 3 ? high_max : 3) * 1.45]
unset key
set yrange [rows - 0.3 : -0.7]
set xtics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
plot file using 3:1:4:5:ytic(2) with xerrorbars pointtype 7 pointsize 0.01 linewidth 1.5 linecolor rgb faint, \
     file using ($6 == 0 ? $3 : NaN):1 with points pointtype 7 pointsize 0.6 linecolor rgb faint, \
     file using ($6 == 1 ? $3 : NaN):1 with points pointtype 7 pointsize 0.9 linecolor rgb blue, \
     file using ($6 == 2 ? $3 : NaN):1 with points pointtype 5 pointsize 0.7 linecolor rgb orange, \
     file using 5:1:7 with labels left offset 1, 0 textcolor rgb ink
