/* The headers that offer.def's rows need. */
