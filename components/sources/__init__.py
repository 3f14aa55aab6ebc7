"""Reading sources of faces: URIs, CSV files, folders and zips of pictures, the schema of rows."""
