"""
The one strict reader of people's YAML files and of the JSON manifest.

A file becomes a `Section`, whose values are taken one by one; what is unknown, missing, given
twice, of the wrong type or out of range ends in one sentence with file, line and the nearest right
name. The dialect is the core schema of YAML 1.2: true and false are truth values, and yes, no, on
and off are words, since two of them are words that the robot hears.
"""
