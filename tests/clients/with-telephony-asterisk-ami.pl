#!/usr/bin/perl
# The test dialogue with Telephony::Asterisk::AMI (Debian: libtelephony-asterisk-ami-perl; no TLS: run it behind
# `amiwall connect`). It reads events only while it waits for an answer, and in read_response.
use strict;
use warnings;
use Telephony::Asterisk::AMI;

my %seen;
sub note { my $event = shift; $seen{ $event->{Event} } = 1 if defined $event->{Event} }
sub fail { print STDERR "Telephony::Asterisk::AMI: @_\n"; exit 1 }

local $SIG{ALRM} = sub { fail('it took longer than 45 s') };
alarm 45;

my $ami = Telephony::Asterisk::AMI->new(
  Host => $ENV{AMI_HOST}, Port => $ENV{AMI_PORT}, Username => $ENV{AMI_USER}, Secret => $ENV{AMI_SECRET},
  Event_Callback => \&note,
);
$ami->connect or fail('connect: ' . $ami->error);

sub until_seen {
  for my $name (@_) {
    until ($seen{$name}) {
      my $packet = $ami->read_response;
      fail("no $name: " . $ami->error) if ($packet->{Response} // '') eq 'Error';
      note($packet);
    }
  }
}

my $pong = $ami->action({ Action => 'Ping' });
fail('no Pong') unless ($pong->{Ping} // '') eq 'Pong';

my $listed = $ami->action({ Action => 'QueueSummary' });
fail("QueueSummary: $listed->{Message}") unless ($listed->{EventList} // '') eq 'start';
until_seen('QueueSummaryComplete');

my $call = $ami->action({
  Action => 'Originate', Channel => 'Local/1000@test', Context => 'click-to-dial', Exten => '2125551234',
  Priority => 1, Async => 'true', Variable => ['campaign_id=7'],
});
fail("Originate: $call->{Message}") unless $call->{Response} eq 'Success';
until_seen(qw(Newchannel OriginateResponse Hangup));

my $refused = $ami->action({ Action => $ENV{AMI_FORBIDDEN}, Family => 'clients', Key => 'k', Val => 'v' });
fail("the forbidden action: $refused->{Response}: " . ($refused->{Message} // ''))
  unless $refused->{Response} eq 'Error' && $refused->{Message} eq 'Permission denied';

$ami->disconnect or fail('Logoff: ' . $ami->error);
