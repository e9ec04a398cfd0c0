# Bits per weight against KL, a panel for each checkpoint. Columns: panel, kind of row (0 point, 1 to 3 label to the right of its
# position, to the left, over it, 4 hull, 5 title), bits, KL, low, high, method, ring (1: int8 activations), text. The program
# sets `panels`, `methods`, their `names` and `colours`, and `axes`: left, right, bottom and top of each panel. It has placed
# the labels for panels of 770 x 350 pixels.
height = 44 + 440 * panels
set terminal svg size 860, height dynamic noenhanced font "sans-serif,13"
set logscale y
set border 3
set format y "%.0e"
set xlabel "bits per weight, scales and embeddings included"
set ylabel "KL from the FP16 reference, nats (logarithmic)" offset 1, 0 textcolor rgb ink
set grid xtics ytics linecolor rgb faint linewidth 0.5 dashtype solid
set ytics scale 0.5
set lmargin at screen 72.0 / 860
set rmargin at screen 842.0 / 860
set key at screen 72.0 / 860, screen 1 - 4.0 / height left top Left reverse horizontal textcolor rgb ink samplen 1 width 1
axis(panel, i) = word(axes, 4 * panel + i) + 0
legend = "filled: FP32 activations; ring: int8 activations; dashed: lower hull"
set multiplot
do for [p = 0 : panels - 1] {
    set tmargin at screen 1 - (66.0 + 440 * p) / height
    set bmargin at screen 1 - (416.0 + 440 * p) / height
    set xrange [axis(p, 1) : axis(p, 2)]
    set yrange [axis(p, 3) : axis(p, 4)]
    set ytics autofreq
    if (axis(p, 4) / axis(p, 3) < 100) { # powers of ten alone would be one label, or none
        do for [e = -9 : 2] {
            set ytics add (sprintf("%.0e", 2 * 10.0 ** e) 2 * 10.0 ** e, sprintf("%.0e", 5 * 10.0 ** e) 5 * 10.0 ** e)
        }
    }
    if (p > 0) { unset key }
    plot file using ($1 == p && $2 == 4 ? $3 : NaN):4 with lines linecolor rgb faint linewidth 1 dashtype 2 notitle, \
         for [m = 0 : methods - 1] file using ($1 == p && $2 == 0 && $7 == m ? $3 : NaN):4:5:6 with yerrorbars \
             pointtype 7 pointsize 0.01 linewidth 1 linecolor rgb word(colours, m + 1) notitle, \
         for [m = 0 : methods - 1] file using ($1 == p && $2 == 0 && $7 == m && $8 == 0 ? $3 : NaN):4 with points \
             pointtype 7 pointsize 0.6 linecolor rgb word(colours, m + 1) notitle, \
         for [m = 0 : methods - 1] file using ($1 == p && $2 == 0 && $7 == m && $8 == 1 ? $3 : NaN):4 with points \
             pointtype 6 pointsize 0.7 linewidth 1.5 linecolor rgb word(colours, m + 1) notitle, \
         for [m = 0 : methods - 1] NaN with points pointtype 7 pointsize 0.8 linecolor rgb word(colours, m + 1) \
             title word(names, m + 1), \
         file using ($1 == p && $2 == 1 ? $3 : NaN):4:9 with labels left font ",11" textcolor rgb ink notitle, \
         file using ($1 == p && $2 == 2 ? $3 : NaN):4:9 with labels right font ",11" textcolor rgb ink notitle, \
         file using ($1 == p && $2 == 3 ? $3 : NaN):4:9 with labels center font ",11" textcolor rgb ink notitle, \
         file using ($1 == p && $2 == 5 ? $3 : NaN):4:9 with labels left offset 0, 0.7 font ",14" textcolor rgb ink notitle, \
         "+" using (axis(p, 2)):(axis(p, 4)):(legend) every ::0::0 with labels right offset 0, 0.7 font ",11" \
             textcolor rgb ink notitle
}
unset multiplot
