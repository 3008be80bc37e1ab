"""Answers in every form: tables for people, and the file formats of other tools."""
