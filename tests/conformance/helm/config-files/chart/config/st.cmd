dbLoadRecords("a.db")
  indented

