# Answers each connection with its version. Told to end, it leaves the directory, so that nobody new comes, and serves those
# who have come.
use strict;
use Socket;

my $path = sprintf "/front/%08x", rand 2**32;
my $end = 0;
$SIG{TERM} = sub { $end = 1; unlink $path };

# One version never becomes ready.
if ($ENV{VERSION} eq "broken") {
    sleep 1 until $end;
    exit;
}

socket my $server, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
bind $server, pack_sockaddr_un("$path.new") or die "bind: $!";
listen $server, 128 or die "listen: $!";
rename "$path.new", $path or die "rename: $!";
unlink $path if $end;
open my $ready, ">&=", 3 or die "descriptor 3: $!";
syswrite $ready, "\n";

while (1) {
    vec(my $readable = "", fileno($server), 1) = 1;
    # A signal may come just before select.
    my $waiting = select $readable, undef, undef, $end ? 0 : 0.2;
    last if $end && $waiting == 0;
    next if $waiting <= 0;
    accept my $client, $server or next;
    my $request = <$client>;
    select undef, undef, undef, 0.02;
    syswrite $client, "$ENV{VERSION}\n";
}
