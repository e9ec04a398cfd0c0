# Bytes by what they are for, in MB, stacked. Columns: row, label, then the right end of each kind (mapped weights, heap
# weights, cache, activations, workspace), peak of the process, text.
set terminal svg size 860, 90 + 21 * rows dynamic noenhanced font "sans-serif,13"
set xlabel "MB (1,000,000 bytes)"
set lmargin longest > 34 ? longest : 30
set rmargin 4
set style fill solid 1 noborder
stats file using 8 nooutput name "peak"
stats file using 7 nooutput name "total"
set xrange [0 : (exists("peak_max") && peak_max > total_max ? peak_max : total_max) * 1.12]
set yrange [rows - 0.3 : -0.7]
plot file using 3:1:(0):3:($1 - 0.36):($1 + 0.36):ytic(2) with boxxyerror linecolor rgb green title "weights, mapped", \
     file using 4:1:3:4:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb blue title "weights, heap", \
     file using 5:1:4:5:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb orange title "KV cache", \
     file using 6:1:5:6:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb purple title "activations", \
     file using 7:1:6:7:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb red title "workspace", \
     file using 8:1 with points pointtype 2 pointsize 0.7 linewidth 1.5 linecolor rgb ink title "peak of the process", \
     file using 7:1:9 with labels left offset 0.5, 0 textcolor rgb ink notitle
