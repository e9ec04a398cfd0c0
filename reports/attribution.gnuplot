# Whose doing the speed-up is. Columns: row, label, where a bar begins, where it ends, low and high end of its interval, text,
# 1 for the whole instead of a share; "?" where missing.
set terminal svg size 860, 90 + 24 * rows dynamic noenhanced font "sans-serif,13"
set logscale x
set xlabel "times as fast as with all stages off (logarithmic; lines: 95% interval of the stage's share)"
set lmargin longest > 30 ? longest : 26
set rmargin 9
set style fill solid 1 noborder
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb ink linewidth 1
stats file using 3 nooutput name "begin"
stats file using 4 nooutput name "end"
low(a, b) = a < b ? a : b
high(a, b) = a > b ? a : b
set xrange [low(low(begin_min, end_min), 1) * 0.9 : high(high(begin_max, end_max), 1) * 1.4]
set yrange [rows - 0.3 : -0.7]
set xtics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
plot file using ($8 == 0 && $4 >= $3 ? $4 : 1/0):1:3:4:($1 - 0.36):($1 + 0.36):ytic(2) with boxxyerror linecolor rgb blue \
         title "a stage's share", \
     file using ($8 == 0 && $4 < $3 ? $4 : 1/0):1:4:3:($1 - 0.36):($1 + 0.36):ytic(2) with boxxyerror linecolor rgb red \
         title "a share that costs", \
     file using ($8 == 1 ? $4 : 1/0):1:(low($3, $4)):(high($3, $4)):($1 - 0.36):($1 + 0.36):ytic(2) with boxxyerror \
         linecolor rgb green title "all stages on", \
     file using 4:1:5:6 with xerrorbars pointtype 0 linewidth 1.2 linecolor rgb ink notitle, \
     file using (high($3, high($4, $6))):1:7 with labels left offset 0.7, 0 textcolor rgb ink notitle
