#!/usr/bin/perl
# The test dialogue as the scripts of old dialers have it: Net::Telnet (Debian: libnet-telnet-perl), text written and
# patterns waited for, no ActionID (no TLS: run it behind `amiwall connect`).
use strict;
use warnings;
use Net::Telnet;

my ($user, $secret, $forbidden) = @ENV{qw(AMI_USER AMI_SECRET AMI_FORBIDDEN)};
my $telnet = Net::Telnet->new(
  Port => $ENV{AMI_PORT}, Timeout => 20, Telnetmode => 0, Output_record_separator => '',
  Errmode => sub { print STDERR "Net::Telnet: @_\n"; exit 1 },
);

# Writes a packet and waits for what the pattern says; gives what came with it.
sub ask {
  my ($packet, $pattern) = @_;
  $telnet->print($packet);
  my ($before, $match) = $telnet->waitfor($pattern);
  return $before . $match;
}

$telnet->open($ENV{AMI_HOST});
$telnet->waitfor('/Asterisk Call Manager\/\S+\n/');
ask("Action: Login\nUsername: $user\nSecret: $secret\n\n", '/Message: Authentication accepted\n/');
ask("Action: Ping\n\n", '/Ping: Pong\n/');
ask("Action: QueueSummary\n\n", '/Event: QueueSummaryComplete\n/');
my %missing = map { $_ => 1 } qw(Newchannel OriginateResponse Hangup);
my $event = '/Event: (?:' . join('|', keys %missing) . ')\n/';
my $seen = ask(
  "Action: Originate\nChannel: Local/1000\@test\nContext: click-to-dial\nExten: 2125551234\nPriority: 1\n"
    . "Async: true\nVariable: campaign_id=7\n\n",
  $event
);
# Asterisk sends an OriginateResponse on another way than the other two: it may come before them.
while ($seen =~ /Event: (\w+)\n\z/ && do { delete $missing{$1}; %missing }) {
  $seen = join '', $telnet->waitfor($event);
}
my $refused = ask("Action: $forbidden\nFamily: clients\nKey: k\nVal: v\n\n", '/Message: [^\n]*denied\n/');
if ($refused !~ /Response: Error\n(?:ActionID[^\n]*\n)?Message: Permission denied\n\z/) {
  print STDERR "Net::Telnet: the forbidden action: $refused\n";
  exit 1;
}
ask("Action: Logoff\n\n", '/Response: Goodbye\n/');
