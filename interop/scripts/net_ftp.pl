# Does the steps that its arguments name, in order; ends with the reply at the first that is refused.
#
# What the harness asks of every client, by the methods of Perl's Net::FTP; raw commands where it has none.
# Arguments: host port passive|active user password folder mode, then the steps.

use strict;
use warnings;
use Net::FTP;
use POSIX qw(strftime);

my ($host, $port, $direction, $user, $password, $folder, $mode, @words) = @ARGV;
my $ftp = Net::FTP->new($host, Port => $port, Passive => $direction eq 'passive', Timeout => 30)
    or die "connect: $@\n";

sub check {
    my ($result) = @_;
    return $result if defined $result && $result ne '';
    my $reply = $ftp->code . ' ' . $ftp->message;
    print STDERR $reply;
    exit 1;
}

sub open_local {
    my ($how, $name) = @_;
    open(my $file, $how, $name) or die "$name: $!\n";
    binmode $file;
    return $file;
}

sub get_dated {
    my ($from, $to) = @_;
    check($ftp->get($from, $to));
    my $seconds = check($ftp->mdtm($from));
    utime($seconds, $seconds, $to) or die "$to: $!\n";
}

sub put_dated {
    my ($from, $to) = @_;
    check($ftp->put($from, $to));
    my $stamp = strftime('%Y%m%d%H%M%S', gmtime((stat $from)[9]));
    check($ftp->quot('MFMT', $stamp, $to) == 2 || undef);
}

sub resume_put {
    my ($from, $to) = @_;
    my $offset = check($ftp->size($to));
    my $file = open_local('<', $from);
    seek($file, $offset, 0) or die "$from: $!\n";
    $ftp->restart($offset);
    check($ftp->put($file, $to));
}

sub as_text {
    my ($transfer) = @_;
    check($ftp->ascii);
    check($transfer->());
    check($ftp->binary);
}

# An empty list is a list: what counts is the reply.
sub list_names {
    my ($where) = @_;
    my $names = $ftp->ls($where);
    check($ftp->ok ? 1 : undef);
    print map { "$_\n" } @{ $names || [] };
}

my %steps = (
    'put' => [2, sub { check($ftp->put(@_)) }],
    'put-text' => [2, sub { my @names = @_; as_text(sub { $ftp->put(@names) }) }],
    'put-dated' => [2, \&put_dated],
    'append' => [2, sub { check($ftp->append(@_)) }],
    'resume-put' => [2, \&resume_put],
    'get' => [2, sub { check($ftp->get(@_)) }],
    'get-text' => [2, sub { my @names = @_; as_text(sub { $ftp->get(@names) }) }],
    'get-dated' => [2, \&get_dated],
    'resume-get' => [2, sub { check($ftp->get($_[0], $_[1], -s $_[1])) }],
    'list' => [1, \&list_names],
    'make-folder' => [1, sub { check($ftp->mkdir($_[0])) }],
    'remove-folder' => [1, sub { check($ftp->rmdir($_[0])) }],
    'rename' => [2, sub { check($ftp->rename(@_)) }],
    'delete' => [1, sub { check($ftp->delete($_[0])) }],
);

check($ftp->login($user, $password));
check($ftp->cwd($folder));
check($ftp->binary);
while (@words) {
    my ($count, $action) = @{ $steps{ shift @words } };
    $action->(splice(@words, 0, $count));
}
$ftp->quit;
