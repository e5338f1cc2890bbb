#!/usr/bin/env perl
# Every section and equation of docs/numerics.md that the code cites exists and is about the file that cites it: the file
# names the scheme of the section's heading, or a word of it.
# Usage: sections_test.pl SOURCE_DIR
use strict;
use warnings;
use File::Find;

chdir $ARGV[0] or die "$ARGV[0]: $!\n";

# What a section is about: the files that its text names, the schemes that its heading quotes; without a scheme the words of
# its heading, of its chapter's and of the chapter's other sections.
my (%exists, %equations, %files, %schemes, %words);
my %generic = map { $_ => 1 } qw(formula ranges result results rejected deviations publication default where from with);
my $section = '';
open(my $numerics, '<', 'docs/numerics.md') or die "docs/numerics.md: $!\n";
while (<$numerics>) {
  $equations{$1} = 1 if /^ +\((\d+\.\d+)\)  /;
  $files{$section}{$_} = 1 for m{`((?:golden|sim|rtl)/[\w/.]+)`}g;
  next unless /^##+ ((\d+)(?:\.\d+)?) (.*)/;
  my ($chapter, $title) = ($2, $3);
  $section = $1;
  $exists{$section} = 1;
  $schemes{$section} = [$title =~ /`(\w+)`/g];
  my @words = grep { !$generic{$_} } map { lc } $title =~ /\w{4,}/g;
  push @{$words{$section}}, @words;
  push @{$words{$chapter}}, grep { length > 5 } @words if $section ne $chapter;
}
close $numerics;
die "docs/numerics.md: no sections or no equations found\n" unless %exists && %equations;

sub chapter { return $_[0] =~ /^(\d+)/ ? $1 : die }

# $text: the file's path and content, small letters and digits only, so that log_int is LogInt and a layer norm LayerNorm.
# Six letters of a word tell enough; three might be part of any other.
sub fits {
  my ($section, $file, $text) = @_;
  return 1 if $files{$section}{$file};
  if (my @schemes = @{$schemes{$section} // []}) {
    return grep { index($text, s/_//gr) >= 0 || grep { length > 4 && index($text, $_) >= 0 } split /_/ } @schemes;
  }
  return grep { index($text, substr($_, 0, 6)) >= 0 } @{$words{$section}}, @{$words{chapter($section)}};
}

# The numbers of "4.6", "4.6 to 4.9", "5.1, 5.2 and 5.4".
my $number = qr/\d+(?:\.\d+)?/;
my $list = qr/$number(?:(?:, and | and |, | to )$number)*/;
sub members {
  my ($text) = @_;
  my @numbers;
  while ($text =~ /($number)(?: to ($number))?/g) {
    my ($from, $to) = ($1, $2);
    push @numbers, $from;
    next unless defined $to;
    my ($first) = $from =~ /\.(\d+)/;
    my ($last) = $to =~ /\.(\d+)/;
    push @numbers, chapter($from) == chapter($to) ? map { chapter($to) . ".$_" } $first + 1 .. $last : $to;
  }
  return @numbers;
}

my @files;
find({no_chdir => 1, wanted => sub { push @files, $_ if /\.(h|cpp|sv|sh|txt)$/ }}, qw(golden sim rtl derivation tests));
my ($cited, $wrong) = (0, 0);
for my $file (sort @files) {
  open(my $in, '<', $file) or die "$file: $!\n";
  my ($comments, $all) = ('', $file);
  while (<$in>) {
    $all .= " $_";
    # A comment may break a citation over two lines.
    $comments .= m{(?:^|\s)(?://|#(?!include))(.*)} ? " $1" : "\n";
  }
  close $in;
  $comments =~ s/\s+$//mg;
  $comments =~ s/ +/ /g;
  $all = lc($all) =~ s/[^a-z0-9]//gr;
  my $wrong_here = sub { print "$file: $_[0]\n"; ++$wrong };
  while ($comments =~ /\bsections? ($list)|numerics\.md ($list)/gi) {
    for my $section (members($1 // $2)) {
      ++$cited;
      if (!$exists{$section}) { $wrong_here->("section $section does not exist") }
      elsif (!fits($section, $file, $all)) { $wrong_here->("section $section is about something else") }
    }
  }
  while ($comments =~ /\bequations? (\d+\.\d+(?:(?:, and | and |, | to )\d+\.\d+)*)|\((\d+\.\d+)\)/gi) {
    for my $equation (members($1 // $2)) {
      ++$cited;
      if (!$equations{$equation}) { $wrong_here->("equation $equation does not exist") }
      elsif (!fits(chapter($equation), $file, $all)) { $wrong_here->("equation $equation is about something else") }
    }
  }
}
print "$cited citations, $wrong wrong\n";
exit($wrong > 0 || $cited < 100);
