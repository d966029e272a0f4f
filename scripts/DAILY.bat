@echo off
call "%~dp0launch.bat" daily %*
exit /b %ERRORLEVEL%
