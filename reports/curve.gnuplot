# Success against LLM GFLOPs per action, from docs/curve/*.csv (reports/curve.sh).
set terminal svg size 760,460 font "Helvetica,14" background "white"
set output "docs/curve.svg"
set datafile separator ","
set xlabel "LLM GFLOPs per action (one multiply-add = one FLOP)"
set ylabel "closed-loop success, %"
set key bottom right
set grid lc rgb "#dddddd"
set yrange [0:100]
set xrange [0:*]
plot "docs/curve/fixed.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 5 lc rgb "#888888" title "fixed exit", \
     "docs/curve/official-exp.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 9 lc rgb "#d07000" title "early exit, official heuristic", \
     "docs/curve/best.csv" skip 1 using 6:(100*$3):(100*$4):(100*$5) with yerrorlines pt 7 lc rgb "#1060c0" title "early exit, deer-calib"
