# What each stage earns. Columns: row, label, ratio alone, low, high, text, ratio last, low, high, text; "?" where missing.
set terminal svg size 860, 90 + 34 * rows dynamic noenhanced font "sans-serif,13"
set logscale x
set xlabel "times as fast with the stage as without it (logarithmic; bars: 95% interval)"
set lmargin 30
set rmargin 9
set arrow 1 from 1, graph 0 to 1, graph 1 nohead linecolor rgb ink linewidth 1
# A column may be missing altogether, which stats calls an error: 1 stands for what is missing, and is in the range anyway.
number(n) = valid(n) ? column(n) : 1
low(a, b) = a < b ? a : b
high(a, b) = a > b ? a : b
stats file using (low(number(4), number(8))) nooutput name "low"
stats file using (high(number(5), number(9))) nooutput name "high"
set xrange [low(low_min, 1) * 0.8 : high(high_max, 1) * 1.45]
set yrange [rows - 0.3 : -0.7]
set xtics (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000)
plot file using (1):1:ytic(2) with dots linecolor rgb ink notitle, \
     file using 3:($1 - 0.18):4:5 with xerrorbars pointtype 7 pointsize 0.8 linewidth 1.5 linecolor rgb orange \
         title "alone: added to a program with all stages off", \
     file using 5:($1 - 0.18):6 with labels left offset 1, 0 textcolor rgb ink notitle, \
     file using 7:($1 + 0.18):8:9 with xerrorbars pointtype 5 pointsize 0.8 linewidth 1.5 linecolor rgb blue \
         title "last: left out of a program with all stages on", \
     file using 9:($1 + 0.18):10 with labels left offset 1, 0 textcolor rgb ink notitle
