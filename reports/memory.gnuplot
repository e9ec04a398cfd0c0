# Bytes by what they are for, in MB, stacked. Columns: row, label, then the right end of each kind (harness/report/memory_kinds.c
# has them in this order), peak of the process, text.
set terminal svg size 860, 120 + 21 * rows dynamic noenhanced font "sans-serif,13"
set xlabel "MB (1,000,000 bytes)"
set lmargin longest > 34 ? longest : 30
set rmargin 4
set style fill solid 1 noborder
set key above left Left reverse horizontal maxrows 3
stats file using 10 nooutput name "peak"
stats file using 9 nooutput name "total"
set xrange [0 : (exists("peak_max") && peak_max > total_max ? peak_max : total_max) * 1.12]
set yrange [rows - 0.3 : -0.7]
plot file using (0):1:ytic(2) with dots linecolor rgb ink notitle, \
     file using ($3 > 0 ? $3 : NaN):1:(0):3:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb green title "weights, mapped", \
     file using ($4 > $3 ? $4 : NaN):1:3:4:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb teal title "weights, as read", \
     file using ($5 > $4 ? $5 : NaN):1:4:5:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb blue title "weights, packed", \
     file using ($6 > $5 ? $6 : NaN):1:5:6:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb orange title "KV cache", \
     file using ($7 > $6 ? $7 : NaN):1:6:7:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb purple title "activations", \
     file using ($8 > $7 ? $8 : NaN):1:7:8:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb red title "workspace", \
     file using ($9 > $8 ? $9 : NaN):1:8:9:($1 - 0.36):($1 + 0.36) with boxxyerror linecolor rgb faint title "other", \
     file using 10:1 with points pointtype 2 pointsize 0.7 linewidth 1.5 linecolor rgb ink title "peak of the process", \
     file using 9:1:11 with labels left offset 0.5, 0 textcolor rgb ink notitle
