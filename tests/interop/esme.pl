# An ESME written with Net::SMPP. The task comes as JSON on standard input, the report leaves as JSON.
#
# task: port, login, password, messages: each a list of submit_sm options, octets in hexadecimal as "hex".

use strict;
use warnings;
use JSON::PP;
use Net::SMPP;

my $task = decode_json(do { local $/; <STDIN> });
my %report = (submits => [], receipts => [], queries => []);

my ($smpp, $bound) = Net::SMPP->new_transceiver('127.0.0.1', port => $task->{port},
    system_id => $task->{login}, password => $task->{password});
die "no connection: $!\n" unless $smpp && $bound;
$report{bind} = {status => $bound->{status}, system_id => $bound->{system_id}};

# Waiting in the library would drop what else comes, so requests are asynchronous and everything is read here.
sub read_until {
    my ($enough) = @_;
    while (!$enough->()) {
        my $pdu = $smpp->read_pdu() or die "the gateway hung up\n";
        if ($pdu->{cmd} == Net::SMPP::CMD_deliver_sm) {
            push @{$report{receipts}}, {id => substr($pdu->{receipted_message_id}, 0, -1),
                state => ord $pdu->{message_state}, esm_class => $pdu->{esm_class}, text => $pdu->{short_message},
                from => $pdu->{source_addr}, to => $pdu->{destination_addr}};
            $smpp->deliver_sm_resp(seq => $pdu->{seq}, message_id => '');
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_submit_sm_resp) {
            push @{$report{submits}}, {status => $pdu->{status}, id => $pdu->{message_id}};
        } elsif ($pdu->{cmd} == Net::SMPP::CMD_query_sm_resp) {
            push @{$report{queries}}, {status => $pdu->{status}, id => $pdu->{message_id},
                state => $pdu->{message_state}, final_date => $pdu->{final_date}};
        } else {
            die sprintf("unexpected command 0x%x\n", $pdu->{cmd});
        }
    }
}

my $number = @{$task->{messages}};
for my $message (@{$task->{messages}}) {
    my $octets = pack 'H*', delete $message->{hex};
    $smpp->submit_sm(async => 1, source_addr_ton => 5, source_addr => 'DEMO', dest_addr_ton => 1, dest_addr_npi => 1,
        registered_delivery => 1, short_message => $octets, %$message);
}
read_until(sub { @{$report{submits}} == $number && @{$report{receipts}} == $number });
for my $submit (@{$report{submits}}) {
    $smpp->query_sm(async => 1, message_id => $submit->{id}, source_addr_ton => 5, source_addr => 'DEMO');
}
read_until(sub { @{$report{queries}} == $number });
$report{enquire_link} = $smpp->enquire_link()->{status};
$report{unbind} = $smpp->unbind()->{status};

print encode_json(\%report);
