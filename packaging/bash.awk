# SPDX-License-Identifier: MIT
# Makes completion for bash of what a program says with --help-table.
BEGIN { FS = "\t" }
$1 == "program" { program = $2; name = $2; gsub(/-/, "_", name) }
$1 == "command" {
    split($2, words, " ")
    command = words[2]
    commands = commands (commands == "" ? "" : " ") command
}
$1 == "option" && $2 != "old" {
    options[command] = options[command] " --" $3
    if ($2 != "flag") {
        what = $4 ~ /DIR/ ? "-d" : $4 ~ /FILE/ ? "-f" : ""
        if (what == "" && $4 ~ /^[a-z0-9]+(\|[a-z0-9]+)+$/) { gsub(/\|/, " ", $4); what = "-W '" $4 "'" }
        values = values "        " command ":--" $3 ") " (what == "" ? "return" : "COMPREPLY=($(compgen " what " -- \"$word\")); return") " ;;\n"
    }
}
END {
    printf "# bash completion for %s\n_%s()\n{\n", program, name
    print "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}"
    print "    COMPREPLY=()"
    printf "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        COMPREPLY=($(compgen -W '%s --help --version' -- \"$word\"))\n        return\n    fi\n", commands
    printf "    case $command:$before in\n%s    esac\n", values
    print "    if [[ $word != -* ]]; then\n        COMPREPLY=($(compgen -f -- \"$word\"))\n        return\n    fi"
    print "    case $command in"
    n = split(commands, list, " ")
    for (i = 1; i <= n; i++)
        printf "        %s) COMPREPLY=($(compgen -W '%s --help --version' -- \"$word\")) ;;\n", list[i], substr(options[list[i]], 2)
    printf "    esac\n}\ncomplete -o filenames -F _%s %s\n", name, program
}
