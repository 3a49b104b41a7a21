#!/usr/bin/env bash
# by-hand.sh openssl|nc: the test dialogue as somebody types it into `openssl s_client` or `nc`, a line at a time, without
# an ActionID. openssl speaks TLS itself and ends lines with CRLF (-crlf); nc sends the LF of the keyboard and has no TLS:
# run it behind `amiwall connect`.
set -euo pipefail

fail() { echo "${tool:-by-hand.sh}: $*" >&2; exit 1; }
tool=${1:-}
case $tool in
  openssl)
    # -quiet: nothing of its own on standard output, and lines that begin with Q or R are no commands of its own.
    command=(openssl s_client -quiet -crlf -verify_return_error -verify_ip "$AMI_HOST" -CAfile "$AMI_CA"
      -connect "$AMI_HOST:$AMI_PORT") ;;
  nc) command=(nc "$AMI_HOST" "$AMI_PORT") ;;
  *) echo "usage: by-hand.sh openssl|nc" >&2; exit 2 ;;
esac
coproc TALK { exec "${command[@]}" 2>/dev/null; }
talk=$TALK_PID
exec {from}<&"${TALK[0]}" {to}>&"${TALK[1]}"
eval "exec ${TALK[0]}<&- ${TALK[1]}>&-"       # by number: the names go when it ends

# Types these lines and an empty one.
type_packet() { for line in "$@" ''; do echo "$line" >&"$to"; done; }

# Reads on until such a line has come; each has 20 seconds.
seen=
until_line() {
  local line
  while IFS= read -r -t 20 line <&"$from"; do
    line=${line%$'\r'} seen+=$line$'\n'
    # shellcheck disable=SC2053 # a pattern
    [[ $line != $1 ]] || return 0
  done
  fail "«$1» did not come, but: $(tail -n 20 <<<"$seen")"
}

until_line 'Asterisk Call Manager/*'
type_packet 'Action: Login' "Username: $AMI_USER" "Secret: $AMI_SECRET"
until_line 'Message: Authentication accepted'
type_packet 'Action: Ping'
until_line 'Ping: Pong'
type_packet 'Action: QueueSummary'
until_line 'EventList: start'
until_line 'Event: QueueSummaryComplete'
type_packet 'Action: Originate' 'Channel: Local/1000@test' 'Context: click-to-dial' 'Exten: 2125551234' 'Priority: 1' \
  'Async: true' 'Variable: campaign_id=7'
seen=
until_line 'Event: OriginateResponse'
until_line 'Event: Hangup'
[[ $seen == *'Event: Newchannel'* ]] || fail "no Newchannel: $seen"
type_packet "Action: $AMI_FORBIDDEN" 'Family: clients' 'Key: k' 'Val: v'
until_line 'Response: Error'
until_line 'Message: Permission denied'
type_packet 'Action: Logoff'
until_line 'Response: Goodbye'
exec {to}>&-                                  # the end of the keyboard: nc waits for it
while IFS= read -r -t 20 _ <&"$from"; do :; done
wait "$talk" || fail "exit status $?"
