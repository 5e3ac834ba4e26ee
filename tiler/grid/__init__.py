"""Where tiles lie: integers, standard library only."""
