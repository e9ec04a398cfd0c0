# Every case under its roof. Columns: what it is, label, x, y, dx, dy. What: 0 a variant, 1 with all stages on, 2 a baseline
# (a point; dx and dy missing); 3 a roof measured with the plot's number of threads, 4 with one thread (a line from x, y); 5 the
# name of a roof, at its right end; 6 that of a rising line, at its lower end.
set terminal svg size 860, 520 dynamic noenhanced font "sans-serif,13"
set logscale xy
set xlabel "operations per byte of weights and cache that has to be read (logarithmic)"
set ylabel "GFLOP/s or GOP/s (logarithmic)" textcolor rgb ink
set border 3
set grid xtics ytics linecolor rgb faint linewidth 0.5 dashtype solid
set ytics scale 0.5
set rmargin 23
stats file using 3 nooutput name "x"
stats file using 4 nooutput name "y"
set xrange [x_min : x_max]
set key maxrows 2 width -6
set yrange [y_min * 0.6 : y_max * 1.6]
set format x "%g"
set format y "%g"
plot file using ($1 == 4 ? $3 : NaN):4:5:6 with vectors nohead linewidth 1 dashtype 2 linecolor rgb faint \
         title "roofs, 1 thread", \
     file using ($1 == 3 ? $3 : NaN):4:5:6 with vectors nohead linewidth 1.2 linecolor rgb ink \
         title "roofs, all threads used", \
     file using ($1 == 0 ? $3 : NaN):4 with points pointtype 7 pointsize 0.6 linecolor rgb faint title "variant", \
     file using ($1 == 1 ? $3 : NaN):4 with points pointtype 7 pointsize 0.9 linecolor rgb blue title "all stages on", \
     file using ($1 == 2 ? $3 : NaN):4 with points pointtype 5 pointsize 0.8 linecolor rgb orange title "baseline", \
     file using ($1 == 5 ? $3 : NaN):4:2 with labels left offset 0.5, 0 textcolor rgb ink notitle, \
     file using ($1 == 6 ? $3 : NaN):4:2 with labels left offset 2.5, 0 textcolor rgb ink notitle
