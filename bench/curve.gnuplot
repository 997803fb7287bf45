# SPDX-License-Identifier: MIT
# Success against LLM GFLOPs per action, and what each fixed exit needs, from docs/curve/*.csv (curve.sh).
set terminal svg size 900,640 font "Helvetica,14" background "white"
set output "docs/curve.svg"
set datafile separator ","
set multiplot
set grid lc rgb "#e0e0e0"
set style fill solid 0.8
set origin 0, 0.32
set size 1, 0.68
set xlabel "LLM GFLOPs per action (one multiply-add = one FLOP)"
set ylabel "closed-loop success, %"
set key bottom right
set yrange [50:100]
set xrange [0:*]
plot "docs/curve/random.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 2 dt 3 lc rgb "#a050a0" title "exits drawn at random, as often", \
     "docs/curve/fixed.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 5 lc rgb "#888888" title "fixed exit", \
     "docs/curve/official-exp.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 9 lc rgb "#d07000" title "early exit, official heuristic", \
     "docs/curve/best.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 7 lc rgb "#1060c0" title "early exit, deer-calib"
unset key
set yrange [0:*]
set xrange [-0.6:5.6]
set boxwidth 0.6
set xtics 1
set xlabel "deepest exit"
set origin 0, 0
set size 0.5, 0.34
set ylabel "peak LLM GFLOPs"
plot "docs/curve/fixed.csv" skip 1 using (5-$0):8 with boxes lc rgb "#1060c0"
set origin 0.5, 0
set ylabel "memory, MB"
plot "docs/curve/fixed.csv" skip 1 using (5-$0):($9/1e6) with boxes lc rgb "#1060c0"
unset multiplot
