# What each unit of a model costs when it alone is quantised to int4, in the order of the model. Columns: row, unit, KL in int4,
# low, high, KL in the chosen setting, bits, index of the setting, its name. The program sets `rows`, `left` (the left edge),
# `longest` (letters of the longest unit), `settings` and their `names`, fewest bits first.
palette_ = '#d1495b #d9730d #9a6bd6 #3b82c4 #2e9e6b #8a8f98 #b8860b #5b7f95'
set terminal svg size 860, 110 + 17 * rows dynamic noenhanced font "sans-serif,12"
set logscale x
set format x "%.0e"
set xlabel "KL from the FP16 reference with this unit alone quantised, nats (logarithmic)\nbar and whiskers: in int4, and 95%; colour and ring: the setting chosen, and its KL"
set lmargin longest * 0.85 + 2
set rmargin 11
set style fill solid 0.85 noborder
set key above left Left reverse horizontal textcolor rgb ink samplen 1 width 2
stats file using 5 nooutput name "high"
set xrange [left : high_max * 1.3]
set yrange [rows - 0.3 : -0.7]
plot for [s = 0 : settings - 1] file using ($8 == s ? $3 : NaN):1:(left):3:($1 - 0.36):($1 + 0.36):ytic(2) with boxxyerror \
         linecolor rgb word(palette_, s + 1) title word(names, s + 1), \
     file using 3:1:4:5 with xerrorbars pointtype 7 pointsize 0.01 linewidth 1 linecolor rgb ink notitle, \
     file using 6:1 with points pointtype 6 pointsize 0.6 linewidth 1.5 linecolor rgb ink notitle, \
     file using 5:1:9 with labels left offset 0.8, 0 textcolor rgb ink notitle
