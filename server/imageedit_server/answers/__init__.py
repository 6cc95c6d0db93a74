"""Vendors' answers to paid calls, durable before anything is done about them (P31, DESIGN §4).

layout     what stands where in a file: who asked, head, end, body
masking    what is not written: headers with credentials, and the secrets of the call
blanks     files made before they are needed
room       whether the disk has room for one more answer
thread     the one thread in which all this is done
writing    one answer on its way to its file
reading    answers read back
kept       answers that nobody could read yet
files      all of them together: what the engine asks for a place, and what a start finds
archive    the folder as an operator sees it
exporting  an exchange without pictures and texts
requests   an operator's word to read a task's answers again
"""
