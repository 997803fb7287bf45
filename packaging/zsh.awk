# SPDX-License-Identifier: MIT
# Makes completion for zsh of what a program says with --help-table.
BEGIN { FS = "\t" }
function quoted(s) { # inside '...[...]'
    gsub(/\\/, "\\\\", s)
    gsub(/'/, "'\\''", s)
    gsub(/\[/, "\\[", s)
    gsub(/\]/, "\\]", s)
    gsub(/:/, "\\:", s)
    return s
}
$1 == "program" { program = $2; name = $2 }
$1 == "command" {
    split($2, words, " ")
    command = words[2]
    n++
    list[n] = command
    summary[n] = quoted($3)
}
$1 == "option" && $2 != "old" {
    value = $2 == "flag" ? "" : ":" quoted($4) ":" ($4 ~ /DIR/ ? "_files -/" : $4 ~ /FILE/ ? "_files" : "")
    options[n] = options[n] sprintf(" \\\n            '--%s[%s]%s'", $3, quoted($5), value)
}
END {
    printf "#compdef %s\n\nlocal -a commands\ncommands=(\n", program
    for (i = 1; i <= n; i++) printf "    '%s:%s'\n", list[i], summary[i]
    print ")\n\nif (( CURRENT == 2 )); then\n    _describe command commands\n    return\nfi"
    print "local command=$words[2]\nshift words\n(( CURRENT-- ))\ncase $command in"
    for (i = 1; i <= n; i++)
        printf "    %s)\n        _arguments '--help[what it does]' '--version[the version]'%s \\\n            '*:file:_files'\n        ;;\n", list[i], options[i]
    print "esac"
}
